// An event loop with nothing to do, beside the one that is looked at: what it is late, the machine is late, and not the process.
import { monitorEventLoopDelay } from 'node:perf_hooks';

const histogram = monitorEventLoopDelay({ resolution: 10 });
histogram.enable();

process.on('message', () => {
  process.send?.(histogram.max / 1e9);
  histogram.reset();
});
