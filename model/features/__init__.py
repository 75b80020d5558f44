"""What the encoder reads of a token: its form's vector, its characters, its neighbours."""
