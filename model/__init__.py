"""The network in torch: cells, encoder, word features, CRF head; checkpoint and export."""
