"""Read and write pictures, depth maps, camera files and videos."""
