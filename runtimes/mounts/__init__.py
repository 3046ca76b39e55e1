"""What a task sees of this machine's files, held fast before anybody shows it to a container (ENV-15 to ENV-19).

* `syscalls`: the system calls that Python does not have
* `beneath`: opens a path that may not leave a folder, whatever links lie in it
* `sources`: what a task wants to see, opened, and in words for its user why it cannot be
* `pins`: opened files and folders at a place of ours while a container starts

Called by drivers, and `beneath` by whoever serves files of drives. Knows no container runtime.
"""
