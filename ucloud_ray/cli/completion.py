"""`ucloud-ray completion`: what makes a shell complete our command lines. What it then offers is in `complete`.

The scripts are ours because bash takes `=` and `:` for ends of words, and parameters and peers have them inside. The
variables are typer's.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


_SCRIPTS = {
    Shell.BASH: r"""
_ucloud_ray() {
    local line=${COMP_LINE:0:COMP_POINT} words current known
    read -r -a words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    current=${words[${#words[@]}-1]}
    known=${current%"${current##*[=:]}"}
    mapfile -t COMPREPLY < <(COMP_WORDS="$line" COMP_CWORD=$((${#words[@]} - 1)) \
        _UCLOUD_RAY_COMPLETE=complete_bash "$1" 2>/dev/null)
    COMPREPLY=("${COMPREPLY[@]#"$known"}")
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
    return 0
}
complete -o default -F _ucloud_ray ucloud-ray
""",
    Shell.ZSH: r"""
#compdef ucloud-ray
_ucloud_ray() {
    eval "$(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _UCLOUD_RAY_COMPLETE=complete_zsh ucloud-ray 2>/dev/null)"
}
compdef _ucloud_ray ucloud-ray
""",
    Shell.FISH: r"""
function _ucloud_ray
    env _UCLOUD_RAY_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=$argv[1] \
        _TYPER_COMPLETE_ARGS=(commandline -cp) ucloud-ray 2>/dev/null
end
complete --command ucloud-ray --no-files --arguments "(_ucloud_ray get-args)" --condition "_ucloud_ray is-args"
""",
}


def completion(shell: Annotated[Shell, typer.Argument(help="Which shell.", metavar="bash|zsh|fish")]) -> None:
    """Print what makes a shell complete commands, options, applications, parameters, machine types and jobs.

    \b
    Examples:
      eval "$(ucloud-ray completion bash)"                                          # in ~/.bashrc
      eval "$(ucloud-ray completion zsh)"                                           # in ~/.zshrc, after compinit
      ucloud-ray completion fish > ~/.config/fish/completions/ucloud-ray.fish
    """
    typer.echo(_SCRIPTS[shell].strip())
