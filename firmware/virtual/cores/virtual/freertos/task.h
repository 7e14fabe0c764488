#pragma once
#include "FreeRTOS.h"

typedef struct Task *TaskHandle_t;
typedef void (*TaskFunction_t)(void *);
typedef struct {
  uint64_t unused[1];
} StaticTask_t;
typedef enum { eRunning, eReady, eBlocked, eSuspended, eDeleted, eInvalid } eTaskState;
typedef enum { eNoAction, eSetBits, eIncrement, eSetValueWithOverwrite, eSetValueWithoutOverwrite } eNotifyAction;

#ifdef __cplusplus
extern "C" {
#endif

// The stack counts towards the heap; a thread gets more than that, for its code is wider than a chip's.
BaseType_t xTaskCreatePinnedToCore(TaskFunction_t function, const char *name, uint32_t stack, void *argument,
                                   UBaseType_t priority, TaskHandle_t *task, BaseType_t core);
BaseType_t xTaskCreate(TaskFunction_t function, const char *name, uint32_t stack, void *argument, UBaseType_t priority,
                       TaskHandle_t *task);
// Another task ends, or stops, at its next call that waits (delay, a queue, …), not before.
void vTaskDelete(TaskHandle_t task);
void vTaskSuspend(TaskHandle_t task);
void vTaskResume(TaskHandle_t task);
BaseType_t xTaskResumeFromISR(TaskHandle_t task);

void vTaskDelay(TickType_t ticks);
void vTaskDelayUntil(TickType_t *last, TickType_t period);
BaseType_t xTaskDelayUntil(TickType_t *last, TickType_t period);
TickType_t xTaskGetTickCount(void);
TickType_t xTaskGetTickCountFromISR(void);

TaskHandle_t xTaskGetCurrentTaskHandle(void);
TaskHandle_t xTaskGetHandle(const char *name);
char *pcTaskGetName(TaskHandle_t task);
#define pcTaskGetTaskName pcTaskGetName
UBaseType_t uxTaskPriorityGet(TaskHandle_t task);
void vTaskPrioritySet(TaskHandle_t task, UBaseType_t priority);
UBaseType_t uxTaskGetNumberOfTasks(void);
// Bytes that were never used; of a thread's stack nobody knows, so half of what was asked for.
UBaseType_t uxTaskGetStackHighWaterMark(TaskHandle_t task);
eTaskState eTaskGetState(TaskHandle_t task);
BaseType_t xTaskGetAffinity(TaskHandle_t task);
void vTaskSuspendAll(void);
BaseType_t xTaskResumeAll(void);

BaseType_t xTaskGenericNotify(TaskHandle_t task, uint32_t value, eNotifyAction action, uint32_t *previous);
BaseType_t xTaskNotifyWait(uint32_t clearBefore, uint32_t clearAfter, uint32_t *value, TickType_t ticks);
uint32_t ulTaskNotifyTake(BaseType_t clear, TickType_t ticks);
BaseType_t xTaskNotifyStateClear(TaskHandle_t task);
uint32_t ulTaskNotifyValueClear(TaskHandle_t task, uint32_t bits);
#define xTaskNotify(task, value, action) xTaskGenericNotify(task, value, action, NULL)
#define xTaskNotifyAndQuery(task, value, action, previous) xTaskGenericNotify(task, value, action, previous)
#define xTaskNotifyGive(task) xTaskGenericNotify(task, 0, eIncrement, NULL)

#ifdef __cplusplus
}
// Nobody is woken by hand: threads run when they can.
inline BaseType_t xTaskNotifyFromISR(TaskHandle_t task, uint32_t value, eNotifyAction action, BaseType_t *woken) {
  if (woken) *woken = pdFALSE;
  return xTaskGenericNotify(task, value, action, nullptr);
}
inline void vTaskNotifyGiveFromISR(TaskHandle_t task, BaseType_t *woken) {
  xTaskNotifyFromISR(task, 0, eIncrement, woken);
}
#endif
