"""Pictures of networks, as SVG and as TikZ.

layout   Model or EquationSystem -> Picture
units    a circle for each unit of a dense network
values   Picture, numbers -> Picture with numbers on its wires
depth    a network of any number of layers: the first, those around layer ℓ, the last
graph    a box for each quantity of equations
svg      Picture -> SVG, in a file of its own or inside of a page
tikz     Picture -> TikZ for LaTeX
"""
