/** The address and the name of a user. */
export interface Addressee {
  user_id: string;
  email: string;
  name: string;
  version: number;
}

/** A deleted user. The version keeps late events from restoring the address. */
export interface DeletedRecipient {
  user_id: string;
  deleted: true;
  version: number;
}

export type Recipient = Addressee | DeletedRecipient;

export function isDeleted(recipient: Recipient): recipient is DeletedRecipient {
  return 'deleted' in recipient;
}

/** Whether an event is newer. Events arrive late and twice. */
export function isNewer(known: Recipient | undefined, update: Recipient): boolean {
  return known === undefined || update.version > known.version;
}
