"""The stub gateway for a worker: `python stub.py` prints the variables that lead to it, and answers until Ctrl-C."""

from threading import Event

from tasker.cli.demo.gateway import Gateway

if __name__ == "__main__":
    with Gateway() as gateway:
        print(f"export PAYMENT_URL={gateway.url}\nexport SHOP_URL={gateway.url}", flush=True)
        try:
            Event().wait()
        except KeyboardInterrupt:
            print("Stopped")
