"""What the commands of the command line do, one module each, and the options that they share."""
