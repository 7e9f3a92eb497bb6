# Nobody acts here: policies read logs and metrics of their own project.
