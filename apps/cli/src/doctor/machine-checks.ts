// Checks of this machine: how many files (and so connections) the processes may open.
import { readTextIfThere } from '@keyline/files';
import type { Endpoints } from '@keyline/api';
import { ok, warn, type Finding } from './finding.ts';

/** Below this a few thousand devices can't stay connected. */
const enoughFiles = 4096;

/** Of the broker and the service when they run here, else of this shell. Linux only; elsewhere there is nothing to read. */
export async function checkOpenFileLimit(pids: Endpoints['pids']): Promise<Finding[]> {
  const processes = pids === undefined ? [['this shell', 'self'] as const] : Object.entries(pids);
  const findings: Finding[] = [];
  for (const [name, pid] of processes) {
    const limits = await readTextIfThere(`/proc/${String(pid)}/limits`, 'the limits of a process');
    const soft = /^Max open files\s+(\d+|unlimited)/m.exec(limits ?? '')?.[1];
    if (soft === undefined) continue;
    const check = `open files ${name}`;
    findings.push(
      soft === 'unlimited' || Number(soft) >= enoughFiles
        ? ok(check, `may open ${soft}`)
        : warn(
            check,
            `may open ${soft}: each connected device takes one`,
            'ulimit -n 65536 before "keyline up", or LimitNOFILE= in its systemd unit.',
          ),
    );
  }
  return findings;
}
