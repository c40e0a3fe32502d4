// `keyline service create`: the edge over @keyline/client: who asks, and what became of it on screen.
import { resolve } from 'node:path';
import { createService as create, deviceFilesOf } from '@keyline/client';
import { isKeylineError, KeylineError } from '@keyline/kernel';
import type { KeyAlgorithm } from '@keyline/x509';
import type { ClientOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext } from '../context.ts';
import { describeClock } from '../device/describe-clock.ts';
import { describeEnrolled } from '../device/enroll-device.ts';
import { findCaller, chooseService } from '../find-service.ts';

export interface CreateServiceOptions extends ClientOptions {
  readonly role: string;
  readonly out?: string;
  readonly label?: Readonly<Record<string, string>>;
  readonly algorithm: KeyAlgorithm;
  readonly validity?: string;
}

export async function createService(
  context: CliContext,
  name: string,
  options: CreateServiceOptions,
): Promise<void> {
  const { role, algorithm, validity, label: labels = {}, out = name } = options;
  const folder = resolve(context.cwd, out);
  deviceFilesOf(folder, name);
  const chosen = await chooseService(context, options);
  const caller = await findCaller(context, options, chosen);
  const service = chosen.location;
  const { clock } = context;
  const created = await create({
    ...{ service, caller, id: name, folder, role, labels, algorithm, validity, clock },
  }).catch((error: unknown) => {
    if (!isKeylineError(error) || error.code !== 'FILE_EXISTS') throw error;
    throw new KeylineError(
      'FILE_EXISTS',
      `${error.detail} Use "keyline service renew ${name} --dir ${out}".`,
      { cause: error },
    );
  });
  const { answer, files, isAgain } = created;
  context.terminal.err(describeClock(created.clock));
  if (options.json === true) {
    const { key, certificate, ca } = files;
    printJson(context, { ...answer, files: { key, certificate, ca } });
    return;
  }
  const text = describeEnrolled(answer, { folder: out, again: isAgain, now: clock.now() });
  context.terminal.out(text);
}
