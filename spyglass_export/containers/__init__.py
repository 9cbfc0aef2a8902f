"""Docker: the one door to it, images, containers, volumes and ports; the author's stack and the reader's."""
