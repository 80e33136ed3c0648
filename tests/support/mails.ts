/** An e-mail as the mail catcher stores it. */
export interface Mail {
  subject: string;
  html: string;
  to: { address: string }[];
}

/** The e-mails that the mail catcher has received for one address. */
export async function mailsTo(mails: string, address: string): Promise<Mail[]> {
  const response = await fetch(`${mails}/email`, { signal: AbortSignal.timeout(5_000) });
  const all = (await response.json()) as Mail[];
  return all.filter((mail) => mail.to.some((recipient) => recipient.address === address));
}
