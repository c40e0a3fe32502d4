// `keyline move`: other names for a plant. The next start of `keyline up` gives them to certificates, and goes on answering for the old ones.
import { resolve } from 'node:path';
import { loadPlantConfig, replaceHosts } from '@keyline/config';
import { readText, readTextIfThere, replaceFile } from '@keyline/files';
import { KeylineError, quoteForShell } from '@keyline/kernel';
import { printJson, type CliContext, type JsonOption } from '../context.ts';
import { layoutOf } from '../up/layout.ts';
import { urlsOf } from '../up/plan.ts';
import { parseHosts } from './run-init.ts';

export interface MoveOptions extends JsonOption {
  readonly data: string;
  readonly host: string;
}

/** @throws {KeylineError} USAGE, CONFIG_INVALID, FILE_NOT_FOUND, FILE_UNREADABLE */
export async function movePlant(context: CliContext, options: MoveOptions): Promise<void> {
  const { settings } = layoutOf(resolve(context.cwd, options.data));
  const hosts = parseHosts(options.host);
  if ((await readTextIfThere(settings, 'keyline.yaml')) === undefined) {
    throw new KeylineError(
      'FILE_NOT_FOUND',
      `There is no ${settings}. "keyline init --data ${quoteForShell(options.data)} --host ${options.host}" makes one; on a folder that was used before it is a move as well.`,
    );
  }
  const plant = await loadPlantConfig(settings);
  const isMoved = plant.hosts.join() !== hosts.join();
  if (isMoved) {
    await replaceFile(settings, replaceHosts(await readText(settings, 'keyline.yaml'), hosts), {
      mode: 0o644,
    });
  }
  const [host = ''] = hosts;
  const urls = urlsOf({ host, ports: { ...plant.ports, metrics: 0 } });
  const gone = plant.hosts.filter((name) => !hosts.includes(name));
  if (options.json === true) {
    printJson(context, { file: settings, moved: isMoved, hosts, earlier: gone, ...urls });
    return;
  }
  if (!isMoved) {
    context.terminal.out(`${settings} names ${hosts.join(', ')} already.\n`);
    return;
  }
  context.terminal.out(`changed ${settings}: ${plant.hosts.join(', ')} → ${hosts.join(', ')}

With the next start of "keyline up" new certificates name ${urls.http} for CRL and OCSP, and devices
are given ${urls.broker}.
${
  gone.length === 0
    ? ''
    : `Certificates that are out name the address of before: let ${gone.join(', ')} go on leading to this machine. The
certificates of the API and the broker keep it, and CRL and OCSP are answered under it; "keyline doctor" says until when.
`
}
Next: keyline up --data ${quoteForShell(options.data)}   (systemctl restart keyline, where systemd runs it)
`);
}
