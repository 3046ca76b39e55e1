"""What is measured: one file per scenario, each with a `run(Options) -> ScenarioResult`; `catalogue` lists them."""
