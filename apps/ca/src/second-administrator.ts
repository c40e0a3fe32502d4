// Changes that wait for a second administrator where ca-config says so: recorded instead of done, and done when another approves.
import {
  decideApproval,
  requestApproval,
  type Approval,
  type Caller,
  type FleetContext,
} from '@keyline/fleet';
import { formatInstant, KeylineError } from '@keyline/kernel';

type Work<Input, Output> = (caller: Caller, input: Input) => Promise<Output>;

export interface SecondAdministrator {
  /**
   * @param change.input must survive JSON
   * @param change.needsTwo absent: always, where the configuration asks for two
   * @returns does it, or records it and throws APPROVAL_NEEDED
   */
  guard<Input, Output extends object>(change: {
    readonly action: string;
    readonly describe: (input: Input) => string;
    readonly needsTwo?: (caller: Caller, input: Input) => boolean;
    readonly work: Work<Input, Output>;
  }): Work<Input, Output>;
  /** Does what was asked. @throws {KeylineError} NOT_FOUND, APPROVAL_CLOSED, FORBIDDEN; what the change itself throws */
  approve(
    caller: Caller,
    id: string,
  ): Promise<{ readonly approval: Approval; readonly result: object }>;
}

export function createSecondAdministrator(
  fleet: Pick<FleetContext, 'store' | 'clock'>,
  config: { readonly secondAdministrator: boolean; readonly approvalWithin: number },
): SecondAdministrator {
  const works = new Map<string, Work<unknown, object>>();
  return {
    guard({ action, describe, needsTwo, work }) {
      works.set(action, work as Work<unknown, object>);
      return async (caller, input) => {
        if (!config.secondAdministrator || needsTwo?.(caller, input) === false) {
          return work(caller, input);
        }
        const { id, summary, expiresAt } = await requestApproval(fleet, {
          caller,
          action,
          input: JSON.stringify(input),
          summary: describe(input),
          lifetime: config.approvalWithin,
        });
        throw new KeylineError(
          'APPROVAL_NEEDED',
          `Nothing was changed yet: another administrator must approve ${id} (${summary}) until ${formatInstant(expiresAt)}: keyline ca approve ${id}`,
          { context: { approval: id } },
        );
      };
    },
    async approve(caller, id) {
      const { action, input } = (await fleet.store.findApproval(id)) ?? { action: '', input: '' };
      const work = works.get(action);
      // Decided before it is done: said by two at once, it is done once.
      const approval = await decideApproval(fleet, { caller, id, decision: 'approved' });
      if (work === undefined)
        throw new KeylineError('INTERNAL', `No change is called "${action}".`);
      return { approval, result: await work(caller, JSON.parse(input)) };
    },
  };
}
