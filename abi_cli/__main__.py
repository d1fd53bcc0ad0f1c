"""`python -m abi_cli` is `abi`."""

from abi_cli.cli import main

if __name__ == "__main__":
    main()
