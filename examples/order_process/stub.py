"""The stub gateway for a worker: `python stub.py` prints the variables that lead to it, and answers until Ctrl-C."""

from threading import Event

from tasker.cli.demo.gateway import Gateway, Ledger


class Services(Gateway):
    """The gateway of the demo, which is the shop too."""

    def begin(self):
        """Open new books."""
        self.ledger = Ledger()

    @property
    def variables(self):
        """What a worker needs in its environment to find it."""
        return {"PAYMENT_URL": self.url, "SHOP_URL": self.url}


if __name__ == "__main__":
    with Services() as services:
        for name, value in services.variables.items():
            print(f"export {name}={value}")
        print("# Ctrl-C ends it", flush=True)
        try:
            Event().wait()
        except KeyboardInterrupt:
            print("Stopped")
