"""What the queue costs: `python benchmarks/queue.py [--quick] [--json FILE]`. The measurements are in queue_costs.py.

Programs in this folder look here first when they, or the standard library for them, say `import queue`. Then this file
becomes the standard library's module.
"""

import runpy
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from sysconfig import get_path

if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    sys.path[:] = [place for place in sys.path if Path(place or ".").resolve() != here]
    runpy.run_path(str(here / "queue_costs.py"), run_name="__main__")
else:
    wanted = spec_from_file_location("queue", Path(get_path("stdlib"), "queue.py"))
    assert wanted is not None
    assert wanted.loader is not None
    module = module_from_spec(wanted)
    sys.modules[__name__] = module
    wanted.loader.exec_module(module)
