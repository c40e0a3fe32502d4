// `make demo`: the whole job on real parts, in eight steps, each fact verified before it gets its check mark.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { Fleet } from '../test/support/fleet.ts';
import { findCommand } from '../test/support/needs.ts';
import { launchKeyline } from '../test/support/keyline.ts';
import { showExpiry } from './demo-steps/expiry.ts';
import { showEnrollment, showMessages } from './demo-steps/fleet.ts';
import { showLine } from './demo-steps/line.ts';
import { showRevocation } from './demo-steps/revocation.ts';
import { createScreen, NotVerified } from './demo-steps/screen.ts';
import { showRoot, showServices } from './demo-steps/start.ts';
import type { World } from './demo-steps/world.ts';

const usage = `Usage: make demo, or scripts/demo [--keep]
  --keep  leave the temporary folder in place (it is left there too when something fails)`;

const args = process.argv.slice(2);
if (args.some((arg) => arg !== '--keep')) {
  console.log(usage);
  process.exit(args.includes('--help') || args.includes('-h') ? 0 : 2);
}

const begun = performance.now();
const folder = mkdtempSync(join(tmpdir(), 'keyline-demo-'));
const isTerminal = process.stdout.isTTY;
const screen = createScreen({
  write: (text) => void process.stdout.write(text),
  isTerminal,
  hasColor: isTerminal && process.env['NO_COLOR'] === undefined,
});
const keyline = launchKeyline({ data: join(folder, 'keyline') });
const fleet = new Fleet(keyline);
let isStopping = false;

async function end(code: number, keep: boolean): Promise<never> {
  await keyline.stop();
  if (keep) screen.print(`\nEverything is still in ${folder}`);
  else rmSync(folder, { recursive: true, force: true });
  process.exit(code);
}

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  process.on(signal, () => {
    if (isStopping) return;
    isStopping = true;
    screen.print('\nStopped: ending the services and removing the folder.');
    void end(code, args.includes('--keep'));
  });
}

const whereToGo = `   make up                starts Keyline and keeps it running; it prints its URLs,
                          the API's documentation (https://…/docs) among them

   Then, in another terminal:
   npx keyline token create --max-uses 3 --out token.txt
   npx keyline device enroll --id pump-17 --token-file token.txt --out pump-17/
   npx keyline device list
   npx keyline device revoke pump-17 --reason keyCompromise --wait
   npx keyline doctor     checks that everything is reachable, in date and in time

   README.md              the five-minute tour`;

const steps = [
  showRoot,
  showServices,
  showEnrollment,
  showMessages,
  showLine,
  showRevocation,
  showExpiry,
] as const;

try {
  screen.print('Keyline: a private PKI and device provisioning for MQTT fleets, on real parts.');
  screen.print(`All state is in ${folder}, and removed at the end (--keep keeps it).`);
  const hasOpenssl = findCommand('openssl') !== undefined;
  const world: World = { screen, folder, keyline, fleet, hasOpenssl, devices: new Map() };
  for (const show of steps) await show(world);
  screen.step('Where to go next');
  screen.print(whereToGo);
  const seconds = ((performance.now() - begun) / 1000).toFixed(0);
  screen.print(`\nAll ${screen.facts} facts were verified, in ${seconds} s.`);
  isStopping = true;
  await end(0, args.includes('--keep'));
} catch (error) {
  if (!isStopping) {
    isStopping = true;
    if (!(error instanceof NotVerified)) screen.print(String(error));
    screen.print(`\nThe demo ended here: this was not what it should be.\n\n${keyline.logs()}`);
    await end(1, true);
  }
}
