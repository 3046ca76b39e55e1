"""What ucloud-ray is measured against: each is started privately, used through its own client, and stopped by id."""
