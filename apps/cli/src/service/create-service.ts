// `keyline service create`: the edge over @keyline/client: who asks, and what became of it on screen.
import { createService as create, deviceFilesOf } from '@keyline/client';
import { isKeylineError, KeylineError, quoteForShell } from '@keyline/kernel';
import type { KeyAlgorithm } from '@keyline/x509';
import type { ClientOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext } from '../context.ts';
import { kitTargetOf, type KitOptions } from '../kit/kit-target.ts';
import { describeClock } from '../device/describe-clock.ts';
import { describeEnrolled, describeFiles } from '../device/enroll-device.ts';
import { findCaller, chooseService } from '../find-service.ts';

export interface CreateServiceOptions extends ClientOptions, KitOptions {
  readonly role: string;
  readonly label?: Readonly<Record<string, string>>;
  readonly algorithm: KeyAlgorithm;
  readonly validity?: string;
}

export async function createService(
  context: CliContext,
  name: string,
  options: CreateServiceOptions,
): Promise<void> {
  const { role, algorithm, validity, broker, label: labels = {} } = options;
  const { said, folder, kit } = kitTargetOf(context, options, name);
  deviceFilesOf(folder, name);
  const chosen = await chooseService(context, options);
  const caller = await findCaller(context, options, chosen);
  const service = chosen.location;
  const { clock } = context;
  const created = await create({
    ...{ service, caller, id: name, folder, role, labels, algorithm, validity, clock },
    ...{ kit, broker },
  }).catch((error: unknown) => {
    if (!isKeylineError(error) || error.code !== 'FILE_EXISTS' || typeof kit === 'object')
      throw error;
    throw new KeylineError(
      'FILE_EXISTS',
      `${error.detail} Use "keyline service renew ${name} --dir ${quoteForShell(said)}".`,
      { cause: error },
    );
  });
  const { answer, files, isAgain } = created;
  context.terminal.err(describeClock(created.clock));
  if (options.json === true) {
    printJson(context, { ...answer, ...describeFiles(files, kit) });
    return;
  }
  const text = describeEnrolled(answer, { said, kit, again: isAgain, now: clock.now() });
  context.terminal.out(text);
}
