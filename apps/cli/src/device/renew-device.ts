// `keyline device renew`: the edge over @keyline/client's renewal, which can be interrupted anywhere and finished later.
import { resolve } from 'node:path';
import { deviceFilesOf, renewDevice as renew, settleRenewal } from '@keyline/client';
import type { LocationOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext, type JsonOption } from '../context.ts';
import { findService } from '../find-service.ts';
import { formatTimeAndDistance } from '../print/time.ts';
import { describeClock } from './describe-clock.ts';

export interface RenewOptions extends LocationOptions, JsonOption {
  readonly id: string;
  readonly dir: string;
  readonly newKey?: boolean;
  readonly validity?: string;
}

export async function renewDevice(context: CliContext, options: RenewOptions): Promise<void> {
  const { id, newKey = false, validity } = options;
  const { clock, terminal } = context;
  const folder = resolve(context.cwd, options.dir);
  // Also where the service can't be found: what was answered once is good.
  if (await settleRenewal(deviceFilesOf(folder, id))) {
    terminal.err('An earlier renewal was interrupted; its files are in place now.\n');
  }
  const service = await findService(context, options);
  const renewed = await renew({ service, id, folder, withNewKey: newKey, validity, clock });
  const { answer, files, notShown } = renewed;
  if (notShown !== undefined) {
    terminal.err(
      `The service could not be called with the new certificate (${notShown}): until it is used, the old one can still replace it.\n`,
    );
  }
  terminal.err(describeClock(renewed.clock));
  if (options.json === true) {
    printJson(context, { ...answer, files: { key: files.key, certificate: files.certificate } });
    return;
  }
  terminal.out(
    `${id} has a new certificate${newKey ? ' and a new key' : ''}: serial ${answer.serial}, ends ${formatTimeAndDistance(answer.device.notAfter, clock.now())}.\n`,
  );
}
