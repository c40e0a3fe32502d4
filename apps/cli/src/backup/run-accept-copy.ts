// `keyline restore --copy`: somebody says that a folder is a copy, or was moved. What follows from that is the issuing CA's, at its next start.
import { resolve } from 'node:path';
import { acceptCopy } from '@keyline/backup';
import { quoteForShell } from '@keyline/kernel';
import { printJson, type CliContext } from '../context.ts';
import { formatFacts } from '../print/table.ts';
import { loadRestoredLists } from './restored-lists.ts';
import { describeDatabase, describeLists } from './run-backup.ts';
import type { RestoreOptions } from './run-restore.ts';

export async function runAcceptCopy(context: CliContext, options: RestoreOptions): Promise<void> {
  const { cwd, clock, terminal } = context;
  const { crl = [] } = options;
  const data = resolve(cwd, options.data);
  const { database } = await acceptCopy({
    data,
    now: clock.now(),
    findLists: async ({ database: { authorities, crlNumbers } }) => {
      const lists = await loadRestoredLists(cwd, crl, {
        crlNumbers: { ...crlNumbers },
        authorities: authorities.map(({ id, certificate, root }) => ({
          id,
          certificate: Buffer.from(certificate).toString('base64'),
          root: Buffer.from(root).toString('base64'),
        })),
      });
      return lists.map(({ der }) => der);
    },
  });
  if (options.json === true) {
    const { authorities: _authorities, ...facts } = database;
    printJson(context, { data, database: facts });
    return;
  }
  terminal.out(`${formatFacts([
    ['copy', data],
    ['database', describeDatabase({ database })],
    ['CRLs', describeLists(database.crlNumbers)],
    ['newer CRLs', crl.length === 0 ? 'none were given' : crl.join(', ')],
  ])}
The other folder and this one must never serve both: make sure that the other service is stopped for good.
At the next start tokens and open batches end, CRL numbers go on far above, and what was revoked since is recovered from newer CRLs${
    crl.length === 0 ? ' (give them with --crl)' : ''
  } and from the brokers.

Next:
  keyline up --data ${quoteForShell(options.data)}
`);
}
