"""What the flex template's launcher starts."""

from isopach.jobs.dataflow_template import main

main()
