"""Containers of the local Docker daemon.

`driver` keeps the contract; the files beside it hold one concern each:

* `spec`: a task specification as a container definition, pure
* `state`: what the daemon says about a container, in the words of the contract, pure
* `client`: the only file that imports the Docker library
* `launch`: create and start, or attach, and never a second copy
* `images`: fetch what is missing
* `events`: wakes whoever waits for a container
* `logs`, `frames`, `sink`, `progress`: the daemon's log, copied into the task's log files
* `stats`: what a container uses
* `host`, `capabilities`: what the machine allows, and whether it can run containers at all
* `files`, `sources`: the content of `/etc/ucloud`, and whether what is to be mounted exists
* `handles`: how a container is found again
"""
