"""What is held back: listed, asked about, decided on; and what one night tells the next."""
