"""Colours that colour-blind readers can tell apart (M. Okabe and K. Ito, 2008)."""

BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"
PURPLE, SKY, ORANGE, BLACK = "#CC79A7", "#56B4E9", "#E69F00", "#000000"
OKABE_ITO = (BLUE, VERMILION, GREEN, PURPLE, SKY, ORANGE, BLACK)
