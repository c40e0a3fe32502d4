// `keyline target files`: what a Mosquitto of one's own begins with, so that it knows the fleet before its first connection.
import { resolve } from 'node:path';
import { loadConfig } from '@keyline/config';
import { writeNewFolder } from '@keyline/files';
import { quoteForShell } from '@keyline/kernel';
import { compileAclFile } from '@keyline/targets';
import type { ClientOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext } from '../context.ts';
import { openClient } from '../find-service.ts';
import { defaultConfig } from '../up/programs.ts';

export interface TargetFilesOptions extends ClientOptions {
  readonly out: string;
  readonly config?: string;
}

export async function writeTargetFiles(
  context: CliContext,
  options: TargetFilesOptions,
): Promise<void> {
  const { cwd, terminal } = context;
  const out = resolve(cwd, options.out);
  const config = options.config === undefined ? defaultConfig : resolve(cwd, options.config);
  const { roles } = await loadConfig(config);
  const client = await openClient(context, options);
  try {
    const state = await client.call('exportDynamicSecurity', { query: {} });
    const trust = await client.getText('/v1/trust-bundle');
    await writeNewFolder(out, [
      { path: 'dynamic-security.json', content: `${JSON.stringify(state)}\n`, mode: 0o600 },
      { path: 'acl', content: compileAclFile(roles), mode: 0o600 },
      { path: 'ca.pem', content: trust, mode: 0o644 },
    ]);
  } finally {
    client.close();
  }
  if (options.json === true) {
    printJson(context, { folder: out, files: ['dynamic-security.json', 'acl', 'ca.pem'] });
    return;
  }
  terminal.out(
    [
      `Files in ${quoteForShell(options.out)} for a Mosquitto of your own:`,
      '  dynamic-security.json  the fleet, its roles, and keyline@service as the administrator',
      '  acl                    what each may do in its own name (acl_file)',
      '  ca.pem                 what client certificates are checked against (cafile)',
      '',
    ].join('\n'),
  );
}
