"""Every layer compiled for GPUs and TPUs that are not there, and the programs judged by their text."""
