"""What needs TeX and Chromium: `make test-documents` installs them where it may, and fails without them."""
