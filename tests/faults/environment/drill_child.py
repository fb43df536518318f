"""A drill of a real environment as far as its injectors go, for tests to kill: CATALOG NOTE_FOLDER USE…, each as JSON."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

from tiercli.catalog.loading import load_catalog
from tiercli.errors import TiercliError
from tiercli.faults.environment.live import LiveInjectors


async def main() -> None:
    loaded = load_catalog(Path(sys.argv[1]))
    environment, folder = loaded.catalog.environments["staging"], Path(sys.argv[1]).parent
    notes = Path(sys.argv[2])
    async with LiveInjectors(environment, "staging", folder, loaded.document.locate, note_folder=notes) as live:
        for use in sys.argv[3:]:
            applied = await live.apply(*json.loads(use))
            print("on:", applied.description, flush=True)
        while True:
            await live.renew_all()
            await asyncio.sleep(0.5)


signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in the background of a shell
try:
    asyncio.run(main())
except TiercliError as error:
    print(f"error {error.exit_code}: {error.message}\nhint: {error.hint}", file=sys.stderr)
    sys.exit(error.exit_code)
except KeyboardInterrupt:
    sys.exit(130)
