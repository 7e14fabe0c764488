// Semaphores are queues of nothing.
#pragma once
#include "queue.h"
#include "task.h"

typedef QueueHandle_t SemaphoreHandle_t;
#define xSemaphoreHandle SemaphoreHandle_t

#ifdef __cplusplus
extern "C" {
#endif
SemaphoreHandle_t xSemaphoreCreateCounting(UBaseType_t most, UBaseType_t initially);
SemaphoreHandle_t xSemaphoreCreateMutex(void);
SemaphoreHandle_t xSemaphoreCreateRecursiveMutex(void);
// False where there is nothing to give back, and to a mutex of somebody else.
BaseType_t xSemaphoreGive(SemaphoreHandle_t semaphore);
BaseType_t xSemaphoreTake(SemaphoreHandle_t semaphore, TickType_t ticks);
TaskHandle_t xSemaphoreGetMutexHolder(SemaphoreHandle_t mutex);
#define xSemaphoreCreateBinary() xSemaphoreCreateCounting(1, 0)
#define vSemaphoreCreateBinary(s) ((s) = xSemaphoreCreateCounting(1, 1))
#define xSemaphoreGiveRecursive xSemaphoreGive
#define xSemaphoreTakeRecursive xSemaphoreTake
#define uxSemaphoreGetCount uxQueueMessagesWaiting
#define vSemaphoreDelete vQueueDelete
static inline BaseType_t xSemaphoreGiveFromISR(SemaphoreHandle_t semaphore, BaseType_t *woken) {
  if (woken) *woken = pdFALSE;
  return xSemaphoreGive(semaphore);
}
static inline BaseType_t xSemaphoreTakeFromISR(SemaphoreHandle_t semaphore, BaseType_t *woken) {
  if (woken) *woken = pdFALSE;
  return xSemaphoreTake(semaphore, 0);
}
#ifdef __cplusplus
}
#endif
