// Writes into the folder it is given until it is killed: payloads of two clients and a serial, with a compaction at every few.
import { DynsecStore } from '../src/store.ts';
import { Client } from '../src/state.ts';
import { Turns } from '../src/turns.ts';

const turns = new Turns();
const store = await DynsecStore.open({ folder: process.argv[2]!, turns, log: () => undefined });
let compaction: Promise<void> = Promise.resolve();
for (let sent = 1; ; sent += 1) {
  const saved = await turns.take(async () => {
    const n = store.state.recordIndex + 1;
    store.state.putClient(new Client(`first-${n}`));
    store.state.putClient(new Client(`second-${n}`));
    store.state.revoke(n.toString(16).padStart(8, '0'));
    return { done: store.save(), n };
  });
  await saved.done;
  process.stdout.write(`${saved.n}\n`);
  if (sent % 5 === 0) {
    await compaction;
    compaction = store.compact();
  }
}
