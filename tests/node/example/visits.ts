// A program that opens conversations for visits and sends reminders. The program does not depend on Convoke.
import type { Twilio } from "twilio";

export async function openVisit(client: Twilio, nurse: string): Promise<string> {
  const conversation = await client.conversations.v1.conversationWithParticipants.create({
    uniqueName: "visit",
    "timers.inactive": "PT30M",
    participant: [JSON.stringify({ identity: nurse })],
  });
  return conversation.sid;
}

export async function sendReminder(client: Twilio, sid: string): Promise<void> {
  await client.conversations.v1
    .conversations(sid)
    .messages.create({ body: "See you soon", xTwilioWebhookEnabled: "true" });
}

export async function stateOf(client: Twilio, sid: string): Promise<string> {
  return (await client.conversations.v1.conversations(sid).fetch()).state;
}
