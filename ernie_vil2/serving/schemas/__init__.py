"""What requests must look like and answers look like, for those who ask and for the description of the interface."""
