// `keyline kit`: a connect kit of an identity that has its certificate.
import { resolve } from 'node:path';
import { makeKit } from '@keyline/client';
import type { LocationOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext, type JsonOption } from '../context.ts';
import { findService } from '../find-service.ts';
import { describeConnection, describeKitUse } from './describe-connection.ts';

export interface MakeKitOptions extends LocationOptions, JsonOption {
  readonly dir: string;
  readonly out: string;
  readonly broker?: string;
}

export async function makeConnectKit(
  context: CliContext,
  id: string,
  options: MakeKitOptions,
): Promise<void> {
  const { clock, cwd, terminal } = context;
  const { dir, broker } = options;
  const out = resolve(cwd, options.out);
  const from = resolve(cwd, dir);
  const service = await findService(context, options);
  const made = await makeKit({ service, id, from, out, broker, clock });
  if (options.json === true) {
    printJson(context, { id, kind: made.kind, broker: made.broker, kit: out });
    return;
  }
  terminal.out(
    [
      `The connect kit of the ${made.kind} ${id}.`,
      '',
      ...describeConnection(made.broker, { provisioned: true }),
      '',
      ...describeKitUse(id, options.out),
      '',
    ].join('\n'),
  );
}
