"""`python -m dojo_deploy`: the program `dojo`."""

from dojo_deploy.tasks.program import main

if __name__ == "__main__":
    main()
