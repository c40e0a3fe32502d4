// The keyline process: the only file that reads process.*; everything else gets a CliContext.
import { removeUnfinished } from '@keyline/files';
import { outliveReaders, systemClock } from '@keyline/kernel';
import { runCli } from './program.ts';

const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

outliveReaders(process);

/** Commands that end in their own way at a signal (`up`). */
let ownEndings = 0;
for (const signal of stopSignals) {
  process.on(signal, () => {
    if (ownEndings > 0) return;
    removeUnfinished();
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

process.exitCode = await runCli(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  stdin: process.stdin,
  clock: systemClock,
  pid: process.pid,
  signalProcess(pid, signal) {
    try {
      return process.kill(pid, signal);
    } catch {
      // Gone in the meantime, or somebody else's: not there for us either way.
      return false;
    }
  },
  terminal: {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    draw: (text) => void process.stderr.write(text),
    interactive: process.stderr.isTTY,
    canAsk: process.stderr.isTTY && process.stdin.isTTY,
  },
  onStopSignal(handler) {
    ownEndings++;
    for (const signal of stopSignals) process.on(signal, handler);
    return () => {
      ownEndings--;
      for (const signal of stopSignals) process.off(signal, handler);
    };
  },
});
