"""Publishes with paho, QoS 1, and waits until the broker has acknowledged each message.

Arguments: port, MQTT version (4 for 3.1.1, 5). Standard input is a JSON array of {topic, payload, retain}. A message with
`last` is the will of another client, which ends without a word.
"""

import json
import os
import sys

import paho.mqtt.client as mqtt

PORT, VERSION = int(sys.argv[1]), int(sys.argv[2])
PATIENCE_S = 60


def connected(client_id, will=None):
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=client_id, protocol=VERSION)
    if will is not None:
        client.will_set(will["topic"], will["payload"], qos=1, retain=will["retain"])
    client.connect("127.0.0.1", PORT)
    client.loop_start()
    return client


def publish(client, message):
    sent = client.publish(message["topic"], message["payload"], qos=1, retain=message["retain"])
    sent.wait_for_publish(PATIENCE_S)
    assert sent.is_published(), message


messages = json.load(sys.stdin)
phone = connected("phone")
for message in messages:
    if "last" not in message:
        publish(phone, message)
phone.disconnect()
phone.loop_stop()

for will in messages:
    if "last" in will:
        lost = connected("lost", will)
        publish(lost, will["last"])
        os._exit(0)  # the socket closes without DISCONNECT
