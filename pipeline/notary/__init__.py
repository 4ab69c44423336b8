"""The notary: signs how far each tree is, never two histories, and hands that to anchors outside the store."""
