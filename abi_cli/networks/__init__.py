"""The vocabulary of networks in a spec: configs whose `build` loads `nn` when it is called."""
