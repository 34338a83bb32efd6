"""Import: files of folders, ZIPs and media, through the same door as everything else."""
