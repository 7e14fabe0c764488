#pragma once
#include "FreeRTOS.h"

typedef struct Queue *QueueHandle_t;
#define xQueueHandle QueueHandle_t

#ifdef __cplusplus
extern "C" {
#endif
QueueHandle_t xQueueCreate(UBaseType_t length, UBaseType_t size);
void vQueueDelete(QueueHandle_t queue);
BaseType_t xQueueReset(QueueHandle_t queue);
BaseType_t xQueueSendToBack(QueueHandle_t queue, const void *item, TickType_t ticks);
BaseType_t xQueueSendToFront(QueueHandle_t queue, const void *item, TickType_t ticks);
BaseType_t xQueueOverwrite(QueueHandle_t queue, const void *item);
BaseType_t xQueueReceive(QueueHandle_t queue, void *item, TickType_t ticks);
BaseType_t xQueuePeek(QueueHandle_t queue, void *item, TickType_t ticks);
UBaseType_t uxQueueMessagesWaiting(QueueHandle_t queue);
UBaseType_t uxQueueSpacesAvailable(QueueHandle_t queue);
#define xQueueSend xQueueSendToBack
#define uxQueueMessagesWaitingFromISR uxQueueMessagesWaiting

static inline BaseType_t xQueueSendToBackFromISR(QueueHandle_t queue, const void *item, BaseType_t *woken) {
  if (woken) *woken = pdFALSE;
  return xQueueSendToBack(queue, item, 0);
}
static inline BaseType_t xQueueSendToFrontFromISR(QueueHandle_t queue, const void *item, BaseType_t *woken) {
  if (woken) *woken = pdFALSE;
  return xQueueSendToFront(queue, item, 0);
}
static inline BaseType_t xQueueOverwriteFromISR(QueueHandle_t queue, const void *item, BaseType_t *woken) {
  if (woken) *woken = pdFALSE;
  return xQueueOverwrite(queue, item);
}
static inline BaseType_t xQueueReceiveFromISR(QueueHandle_t queue, void *item, BaseType_t *woken) {
  if (woken) *woken = pdFALSE;
  return xQueueReceive(queue, item, 0);
}
static inline BaseType_t xQueueIsQueueEmptyFromISR(QueueHandle_t queue) { return uxQueueMessagesWaiting(queue) == 0; }
static inline BaseType_t xQueueIsQueueFullFromISR(QueueHandle_t queue) { return uxQueueSpacesAvailable(queue) == 0; }
#define xQueueSendFromISR xQueueSendToBackFromISR
#ifdef __cplusplus
}
#endif
