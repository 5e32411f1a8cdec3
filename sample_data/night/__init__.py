"""Two more days of the sample cluster: its policies are in force, and on the second things are planted."""
