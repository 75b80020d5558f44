"""The features of a token: its form's vector, its characters, its neighbours."""
