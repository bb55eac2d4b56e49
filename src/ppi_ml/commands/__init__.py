"""The verbs of the command line, one file each: read the config, one library call, print."""
