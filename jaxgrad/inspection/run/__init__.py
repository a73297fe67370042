"""The numbers of a program: compiled values and cotangents, and a concrete tape."""
